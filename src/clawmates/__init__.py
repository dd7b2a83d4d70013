"""ClawMates: an AI assistant of one's own, whose conversation nobody keeps."""
