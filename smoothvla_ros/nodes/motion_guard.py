"""The motion guard on topics: between the policy and the controller of one arm."""
