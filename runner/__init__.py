"""Many questions, one server, one night: every answer recorded, none paid twice."""
