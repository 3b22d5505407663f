// Package account finds out who a program is to run as.
package account

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"strconv"

	"github.com/musterd/muster/internal/app"
)

// Account is a user as a process has it.
type Account struct {
	UID    int    `json:"uid"`
	GID    int    `json:"gid"`
	Groups []int  `json:"groups,omitempty"` // supplementary ones
	Name   string `json:"name,omitempty"`   // empty: the user has none
	Home   string `json:"home,omitempty"`
	// Same tells that a process has all this already.
	Same bool `json:"same,omitempty"`
}

// Find returns who a program is that runs as the user and the group, names or numbers; one of them may be empty. A user with an entry gets the
// supplementary groups that login would give it. What is wrong is an *app.Error: there is no such user, or this process may not become it.
func Find(name, group string) (*Account, error) {
	if name == "" && group == "" {
		return nil, nil
	}
	a, err := ofUser(name, group != "")
	if err != nil {
		return nil, err
	}
	if group != "" {
		if a.GID, err = FindGroup("group", group); err != nil {
			return nil, err
		}
	}
	slices.Sort(a.Groups)
	a.Groups = slices.Compact(a.Groups)
	return a, a.reachable(name, group)
}

// ofUser is the account of a user, or of this process.
func ofUser(name string, hasGroup bool) (*Account, error) {
	if name == "" {
		groups, err := os.Getgroups()
		return &Account{UID: os.Geteuid(), GID: os.Getegid(), Groups: groups, Same: true}, err
	}
	u, err := lookup(name)
	if err != nil {
		return bare(name, hasGroup, err)
	}
	a := &Account{Name: u.Username, Home: u.HomeDir}
	if a.UID, err = strconv.Atoi(u.Uid); err != nil {
		return nil, err
	}
	if a.GID, err = strconv.Atoi(u.Gid); err != nil {
		return nil, err
	}
	texts, err := u.GroupIds()
	if err != nil {
		return nil, &app.Error{Field: "user", Value: name, Reason: "its groups are not known: " + err.Error()}
	}
	for _, text := range texts {
		if gid, err := strconv.Atoi(text); err == nil {
			a.Groups = append(a.Groups, gid)
		}
	}
	return a, nil
}

func lookup(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil && isNumber(name) {
		return user.LookupId(name)
	}
	return u, err
}

// bare is a user that has nothing but a number.
func bare(name string, hasGroup bool, cause error) (*Account, error) {
	switch {
	case !isNumber(name):
		reason := "there is no such user"
		if !isUnknown(cause) {
			reason = "is not found: " + cause.Error()
		}
		return nil, &app.Error{Field: "user", Value: name, Reason: reason, Hint: "make it with useradd, or name another: a name or a number of /etc/passwd"}
	case !hasGroup:
		return nil, &app.Error{Field: "user", Value: name, Reason: "has no entry in /etc/passwd that says its group", Hint: "name a group too, as --group " + name}
	}
	uid, err := strconv.Atoi(name)
	return &Account{UID: uid, Home: "/"}, err
}

func isUnknown(err error) bool {
	_, byName := errors.AsType[user.UnknownUserError](err)
	_, byID := errors.AsType[user.UnknownUserIdError](err)
	return byName || byID
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 31)
	return err == nil
}

// FindUser returns the number of a user; field names what asks for it.
func FindUser(field, name string) (int, error) {
	u, err := lookup(name)
	if err != nil && isNumber(name) {
		return strconv.Atoi(name)
	}
	if err != nil {
		return 0, &app.Error{Field: field, Value: name, Reason: "there is no such user", Hint: "name one of /etc/passwd, or a number"}
	}
	return strconv.Atoi(u.Uid)
}

// FindGroup returns the number of a group; field names what asks for it.
func FindGroup(field, name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil && isNumber(name) {
		return strconv.Atoi(name)
	}
	if err != nil {
		return 0, &app.Error{Field: field, Value: name, Reason: "there is no such group", Hint: "name one of /etc/group, or a number"}
	}
	return strconv.Atoi(g.Gid)
}

// reachable refuses an account that this process cannot become, and marks the one that it has.
func (a *Account) reachable(name, group string) error {
	a.Same = a.UID == os.Geteuid() && a.GID == os.Getegid()
	if a.Same && os.Geteuid() != 0 {
		return nil // it may not change its groups, and has those it was given
	}
	missing := missingCapability()
	if missing == "" {
		a.Same = false
		return nil
	}
	if a.Same {
		return nil
	}
	field, value := "user", name
	if name == "" {
		field, value = "group", group
	}
	if os.Geteuid() != 0 {
		return &app.Error{
			Field: field, Value: value, Reason: "only root can start workers as somebody else, and this is user " + strconv.Itoa(os.Geteuid()),
			Hint: "start muster as root, or as that user and without --" + field,
		}
	}
	return &app.Error{Field: field, Value: value, Reason: "workers cannot be started as somebody else without " + missing, Hint: "let the container keep " + missing + ", or start muster as that user"}
}
