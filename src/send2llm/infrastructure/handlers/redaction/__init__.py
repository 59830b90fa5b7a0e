"""What ``redact`` is made of: how secrets and personal data are found, named, and given back."""
