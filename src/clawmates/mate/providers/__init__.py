"""Who answers: one contract, an implementation an AI provider."""
