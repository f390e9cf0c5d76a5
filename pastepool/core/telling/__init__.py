"""What people are told: sentences, mails, masked values, counts. Decides nothing; no rule of ``core`` imports it."""
