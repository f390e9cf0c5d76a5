"""What people are told: sentences, mails, masked values, counts. Decides nothing; the rules of `core` do not import it."""
