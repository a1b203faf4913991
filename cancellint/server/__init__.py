"""The server for editors: the same findings while code is written, with their stories, fixes and beliefs."""
