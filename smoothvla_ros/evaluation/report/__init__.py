"""What a run leaves to be read: tables, sentences, summary.json, report.html."""
