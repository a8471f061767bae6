"""What RViz and the web page are shown."""
