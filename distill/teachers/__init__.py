"""Teachers: anything that answers OpenAI's chat API, remote or started here."""
