"""Python that a model wrote runs here, and nowhere else. Does not decide what is right."""
