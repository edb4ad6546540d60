"""Questions for libraries that run in jails: threads that hold the jails, and what they ask."""
