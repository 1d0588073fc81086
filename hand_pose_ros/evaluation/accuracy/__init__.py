"""Accuracy of the estimators on generated hands, recorded poses and photos."""
