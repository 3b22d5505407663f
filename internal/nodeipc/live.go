package nodeipc

// seqGap is how far the records of a successor are ahead: the channel's owner may have sent some after Live.
const seqGap = 1 << 20

// Live is what another process needs to go on with the channel if this one is killed. What is on its way then is lost: a record that was read
// in part is let pass, and acknowledgements of handles that are not known are taken. It may be called at any time.
func (c *Conn) Live() *State {
	c.seqMu.Lock()
	defer c.seqMu.Unlock()
	return &State{Seq: c.seq + seqGap, Keys: c.keys.all(), Adopted: true}
}
