"""Looking at snapshots of any origin; nothing here unpickles one."""
