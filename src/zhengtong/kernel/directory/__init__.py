"""Who there is: organisations through time, posts, people, their duties, and how they sign in."""
