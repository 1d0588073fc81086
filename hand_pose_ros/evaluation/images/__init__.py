"""What the image adds to keypoints."""
