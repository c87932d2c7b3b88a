"""What people see: tables, texts and figures."""
