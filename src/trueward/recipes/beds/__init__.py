"""What recipes are put to the test on, where it is of use to one recipe only: settings, scales, further arms."""
