"""The last fit moves estimated hands onto the landmarks that they were made from, within their hypotheses."""
