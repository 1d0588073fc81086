"""From an image to hands in space: the estimators and the pipeline around them."""
