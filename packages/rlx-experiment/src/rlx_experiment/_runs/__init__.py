"""Run folders: born, locked, recorded, ended, found again."""
