package launch

import (
	"fmt"
	"slices"

	"github.com/musterd/muster/internal/account"
	"github.com/musterd/muster/internal/app"
)

// identify resolves who workers are, whose their unix sockets, and where they run.
func (p *Plan) identify(host Host) (err error) {
	if p.Account, err = account.Find(p.App.User, p.App.Group); err != nil {
		return err
	}
	if name := p.App.ListenOwner; name != "" {
		if p.SockUID, err = account.FindUser("listen_owner", name); err != nil {
			return err
		}
	}
	if name := p.App.ListenGroup; name != "" {
		if p.SockGID, err = account.FindGroup("listen_group", name); err != nil {
			return err
		}
	}
	return p.place(host)
}

// place chooses among the CPUs that there are.
func (p *Plan) place(host Host) error {
	p.CPUs = host.CPUs
	if most := p.App.Together.CPU; most > 0 { // as with a quota from outside, 1.5 CPUs can keep two workers busy
		p.CPUs = min(p.CPUs, int((most+999)/1000))
	}
	if p.App.CPUAffinity == app.AffinitySpread {
		p.CPUSet = host.Allowed
	}
	if len(p.App.CPUSet) == 0 {
		return nil
	}
	for _, cpu := range p.App.CPUSet {
		if len(host.Allowed) > 0 && !slices.Contains(host.Allowed, cpu) {
			return &app.Error{
				Field: "cpus", Value: p.App.CPUs, Reason: fmt.Sprintf("muster itself may not run on CPU %d", cpu), Hint: fmt.Sprintf("it may run on %v", host.Allowed),
			}
		}
	}
	p.CPUSet = p.App.CPUSet
	p.CPUs = min(p.CPUs, len(p.CPUSet))
	return nil
}
