"""From episodes to evidence: tables, intervals, pairs, pictures and the report. No ROS."""
