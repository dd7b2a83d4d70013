"""The vault: seals, keeps, releases and destroys credentials and documents."""
