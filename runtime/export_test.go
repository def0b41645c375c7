package runtime

// OnDevice has a session of the CPU used as one of a device: with what stays the
// same bound once, and with runs of one number of images.
func (e *Evaluator) OnDevice() { e.session.device = true }

// OnDevice is that of an Evaluator.
func (c *Classifier) OnDevice() { c.session.device = true }

// OnDevice is that of an Evaluator.
func (t *Teacher) OnDevice() { t.model.device = true }
