package sock

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Buckets is into how many parts steering divides the connections of a listener: the finest share is 1/256, and there can be as many slots.
const Buckets = 256

// errNoWeight says that no slot would take connections.
var errNoWeight = errors.New("all weights are zero")

// spread distributes the buckets over the slots in proportion to their weights, moving as few as possible from where prev has
// them. Every slot with a weight gets at least one bucket. Without prev, or where a bucket must move, a hash of bucket and slot decides
// (rendezvous), so that equal inputs give equal tables on every machine and after every start.
func spread(prev []int, weights []int) ([]int, error) {
	room, err := quotas(weights)
	if err != nil {
		return nil, err
	}
	table := make([]int, Buckets)
	var homeless []int
	for _, bucket := range byAffinity(prev, len(weights)) {
		slot := at(prev, bucket)
		if slot >= 0 && slot < len(room) && room[slot] > 0 {
			table[bucket] = slot
			room[slot]--
		} else {
			homeless = append(homeless, bucket)
		}
	}
	for _, bucket := range homeless {
		slot := favourite(bucket, room)
		table[bucket] = slot
		room[slot]--
	}
	return table, nil
}

// byAffinity orders the buckets so that those that a slot can best spare come last: a slot that shrinks gives away the ones for which
// it scores lowest. Homeless buckets keep their order.
func byAffinity(prev []int, slots int) []int {
	order := make([]int, Buckets)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(affinity(b, at(prev, b), slots), affinity(a, at(prev, a), slots))
	})
	return order
}

func affinity(bucket, slot, slots int) uint32 {
	if slot < 0 || slot >= slots {
		return 0
	}
	return score(bucket, slot)
}

// at returns the slot of a bucket, or -1 where the table is missing or short.
func at(table []int, bucket int) int {
	if bucket < len(table) {
		return table[bucket]
	}
	return -1
}

// favourite returns the slot with room that scores highest for a bucket.
func favourite(bucket int, room []int) int {
	best := -1
	for slot, free := range room {
		if free > 0 && (best < 0 || score(bucket, slot) > score(bucket, best)) {
			best = slot
		}
	}
	return best
}

// score is a fixed pseudo-random number for a bucket and a slot.
func score(bucket, slot int) uint32 {
	return mix(mix(uint32(bucket)+1) ^ uint32(slot+1))
}

// mix spreads the bits of a word: a step of MurmurHash3's finaliser. The steering program does the same in the kernel.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= mixFactor1
	h ^= h >> 13
	h *= mixFactor2
	h ^= h >> 16
	return h
}

const (
	mixFactor1 = 0x85ebca6b
	mixFactor2 = 0xc2b2ae35
)

// quotas divides the buckets by the largest remainder, with one at least for every weight above zero.
func quotas(weights []int) ([]int, error) {
	sum, positive := 0, 0
	for slot, w := range weights {
		if w < 0 || w > maxWeight {
			return nil, fmt.Errorf("weight %d of slot %d: want 0 to %d", w, slot, maxWeight)
		}
		if w > 0 {
			sum, positive = sum+w, positive+1
		}
	}
	if positive == 0 {
		return nil, errNoWeight
	}
	if positive > Buckets {
		return nil, fmt.Errorf("%d slots: steering takes %d", positive, Buckets)
	}
	return largestRemainder(weights, sum, positive), nil
}

// maxWeight keeps the products of quotas far from an overflow.
const maxWeight = 1 << 20

func largestRemainder(weights []int, sum, positive int) []int {
	quota := make([]int, len(weights))
	spare := Buckets - positive // one each goes first
	left := spare
	var order []int
	for slot, w := range weights {
		if w == 0 {
			continue
		}
		share := spare * w / sum
		quota[slot] = 1 + share
		left -= share
		order = append(order, slot)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(spare*weights[b]%sum, spare*weights[a]%sum)
	})
	for _, slot := range order[:left] {
		quota[slot]++
	}
	return quota
}
