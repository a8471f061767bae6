"""Where images come from: a camera, a video, a folder of images, a test pattern."""
