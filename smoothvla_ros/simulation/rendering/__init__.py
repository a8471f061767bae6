"""What is drawn of a scene, and how, in software too."""
