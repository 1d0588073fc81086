"""The size of a hand: measured by hand, from the population, or from images of a known scale."""
