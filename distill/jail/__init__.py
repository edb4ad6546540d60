"""What models wrote and rows say runs here, and nowhere else. Does not decide what is right."""
