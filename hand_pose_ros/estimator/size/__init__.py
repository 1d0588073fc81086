"""How large a hand is: what people measure, what is known of people, and what images with a known scale say."""
