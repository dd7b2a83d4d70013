"""What is stored, what is held on a person, and how they take it with them: pages made from the inventory."""
