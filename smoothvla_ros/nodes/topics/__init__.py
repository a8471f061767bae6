"""What goes over topics: names, quality of service, and records to messages and back."""
