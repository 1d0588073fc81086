"""Where images come from when no camera driver runs: files, webcams, folders, recordings and the rendered clip."""
