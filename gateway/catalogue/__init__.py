"""What a declared tool is at run time: arguments checked, documents fetched, answer selected and rendered."""
