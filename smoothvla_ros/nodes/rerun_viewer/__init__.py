"""The web page's node; what it shows is made in `viewer`."""
