"""A data processing agreement (GDPR, article 28(3)) as a PDF: made from the declaration, kept by both sides."""
