"""Every fault of the list that this project is held to, tried over and over with chance (`make faults`)."""
