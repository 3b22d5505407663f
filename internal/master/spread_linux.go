package master

// canSpread tells whether the kernel spreads connections over the sockets that share an address by SO_REUSEPORT.
const canSpread = true
