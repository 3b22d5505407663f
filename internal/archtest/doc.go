// Package archtest holds no code. Its tests keep the rules about who may import whom, which source forms are forbidden, and how many
// modules muster depends on.
package archtest
