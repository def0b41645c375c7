package lower

// fuse finds the patterns that are emitted together.
func (e *Emitter) fuse() {}
