package job

// ForgetTuning makes the next run read the measurements anew.
func ForgetTuning() { tuned.Clear() }
