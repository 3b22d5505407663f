package sock

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
)

// Offsets into struct sk_reuseport_md, the context of the program (linux/bpf.h).
const (
	ctxEthProtocol = 20
	ctxHash        = 32
)

// Where the source address stands in an IP header, and which header skb_load_bytes_relative starts from.
const (
	sourceOffset4 = 12
	sourceOffset6 = 8
	headerNet     = 1 // BPF_HDR_START_NET
	etherTypeIPv4 = 0x0800
	skPass        = 1 // SK_PASS: without a selected socket the kernel's hash decides
)

// The stack of the program, below R10.
const (
	stackKey    = -4  // 4 bytes: the key of a lookup
	stackSource = -24 // 16 bytes: the source address, IPv4 in the first four
)

// steerProgram returns
//
//	hash   = sticky ? mix(source address) : ctx->hash
//	slot   = buckets[hash % Buckets]
//	select slots[slot]; return SK_PASS
func steerProgram(slots, buckets int, sticky bool) asm.Instructions {
	hash := asm.Instructions{asm.LoadMem(asm.R7, asm.R6, ctxHash, asm.Word)}
	if sticky {
		hash = sourceHash()
	}
	prog := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	prog = append(prog, hash...)
	return append(prog,
		asm.And.Imm32(asm.R7, Buckets-1),
		asm.StoreMem(asm.R10, stackKey, asm.R7, asm.Word),
		asm.LoadMapPtr(asm.R1, buckets),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R7, asm.R0, 0, asm.Word),
		asm.StoreMem(asm.R10, stackKey, asm.R7, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, slots),
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, stackKey),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnSkSelectReuseport.Call(),
		asm.Mov.Imm(asm.R0, skPass).WithSymbol("pass"),
		asm.Return(),
	)
}

// sourceHash leaves the hash of the source address in R7. A packet whose header cannot be read hashes as zeros do.
func sourceHash() asm.Instructions {
	prog := asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.R10, stackSource, asm.R0, asm.DWord),
		asm.StoreMem(asm.R10, stackSource+8, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R2, sourceOffset6),
		asm.Mov.Imm(asm.R4, 16),
		asm.LoadMem(asm.R0, asm.R6, ctxEthProtocol, asm.Word),
		asm.JNE.Imm(asm.R0, networkOrder(etherTypeIPv4), "load"),
		asm.Mov.Imm(asm.R2, sourceOffset4),
		asm.Mov.Imm(asm.R4, 4),
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("load"),
		asm.Mov.Reg(asm.R3, asm.R10),
		asm.Add.Imm(asm.R3, stackSource),
		asm.Mov.Imm(asm.R5, headerNet),
		asm.FnSkbLoadBytesRelative.Call(),
		asm.Mov.Imm32(asm.R7, 0),
	}
	for word := range int16(4) {
		prog = append(prog, asm.LoadMem(asm.R0, asm.R10, stackSource+4*word, asm.Word), asm.Xor.Reg32(asm.R7, asm.R0))
		prog = append(prog, mixProgram()...)
	}
	return prog
}

// mixProgram is mix on R7, with R0 as scratch.
func mixProgram() asm.Instructions {
	shiftXor := func(bits int32) asm.Instructions {
		return asm.Instructions{asm.Mov.Reg32(asm.R0, asm.R7), asm.RSh.Imm32(asm.R0, bits), asm.Xor.Reg32(asm.R7, asm.R0)}
	}
	prog := shiftXor(16)
	prog = append(prog, asm.Mul.Imm32(asm.R7, signed(mixFactor1)))
	prog = append(prog, shiftXor(13)...)
	prog = append(prog, asm.Mul.Imm32(asm.R7, signed(mixFactor2)))
	return append(prog, shiftXor(16)...)
}

// signed is the immediate operand with these bits.
func signed(bits uint32) int32 { return int32(bits) }

// networkOrder is how a big-endian field of 16 bits reads on this machine.
func networkOrder(v uint16) int32 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return int32(binary.NativeEndian.Uint16(b[:]))
}

// sourceBucket is the bucket of a source address, as the program computes it.
func sourceBucket(addr []byte) int {
	var padded [16]byte
	copy(padded[:], addr)
	var h uint32
	for i := 0; i < len(padded); i += 4 {
		h = mix(h ^ binary.NativeEndian.Uint32(padded[i:]))
	}
	return int(h % Buckets)
}
