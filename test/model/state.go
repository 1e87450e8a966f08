package model

// The owner has three messages at the source; two of them are the same bytes. Copies of the same bytes can't be told
// apart, so the model never asks which one a copy is, only how many there are.
const (
	letterA Letter = 1 + iota
	letterB
	letters = 2
)

var source = [messages]Letter{letterA, letterA, letterB}

const (
	messages  = 3
	uids      = 7 // of the destination folder
	uidsThere = 4 // of the second folder
	streams   = 2 // connections that append to the folder, each with one batch on its way
	sessions  = 6 // dead clients whose commands the server still holds
)

// Letter is some bytes. 0 is none.
type Letter uint8

// State is one moment. It holds no pointers: two equal values are the same moment.
type State struct {
	Ledger  [messages]Row // survives every crash
	Here    [uids]Slot    // the destination folder; UID 1 is Here[0]
	There   [uidsThere]Slot
	Streams [streams]Stream // interchangeable, so sorted
	Ghosts  [sessions]Batch // commands of sessions whose client is dead or cut off; sorted
	Engine  Engine          // lost in a crash, like what is the engine's of Streams
	Left    Faults          // that may still happen
}

// Row is what the ledger knows of one message.
type Row struct {
	Stage Stage
	Batch Batch // of an intended row: all of it is here or nothing
	Bound UID   // of an intended row: it has no smaller UID
	There bool  // of a confirmed row: it was found in the second folder
	UID   UID
}

// UID is a UID of either folder. 0 is none.
type UID uint8

// Stage is the stage of a row as in daemon/ledger; absent is a message that is new.
type Stage uint8

const (
	absent Stage = iota
	intended
	confirmed
	parked
)

// Slot is what became of one UID. A UID is never used again.
type Slot struct {
	Letter Letter // 0: the UID was not given yet
	From   Origin
	Gone   bool // its owner deleted it or moved it away
}

// Origin says who made a copy.
type Origin uint8

const (
	us       Origin = iota
	stranger        // delivered by somebody else, or made with COPY by the owner
	owner           // moved out of the other folder
)

// Stream is one connection that carries batches, one at a time.
type Stream struct {
	Sent   Batch  // the server's: complete, not executed
	Answer Answer // on its way back
	Read   Answer // the engine's: not in the ledger yet
	Dead   bool   // cut, and the engine doesn't know it
}

// Batch is a set of messages, stored in their order, all or none: bit i is message i.
type Batch uint8

// Answer is the reply to a batch: APPENDUID, or No when First is 0.
type Answer struct {
	Batch Batch
	First UID
}

// Engine is what the process keeps in memory.
type Engine struct {
	Phase    Phase
	UIDNext  UID     // of the destination folder as far as is known; 0 before it was opened
	Doubt    bool    // a batch was refused: to be settled when every answer is there
	Found    Listing // of the destination folder, while settling
	Searched Listing // of the second folder
}

// Listing is what one look at a folder has shown: bit u-1 is set when UID u was there.
type Listing struct {
	UIDNext UID
	Present uint8
}

// Phase is where the engine is. A moment between two steps is left out where whatever may happen in it might as well
// happen before: there is no phase before the ledger was read, and none between a look and a commit that rests on it.
// For the same reason an intent and the last line end of its batch are one step: a crash between them is a crash after
// both, with the server dropping the command.
type Phase uint8

const (
	opening   Phase = iota // nothing is in doubt: about to look at the folder and plan
	fencing                // something is in doubt: about to look behind the fence
	looking                // something is in doubt and every answer was read: no fence is needed
	searching              // something vanished from the destination folder
	copying
	finished
)

// Faults is how often each thing may still happen.
type Faults struct {
	Crashes   uint8 // kill -9, at any moment
	Cuts      uint8 // of the connection, with the requests or the replies lost or a ghost left behind
	Refusals  uint8 // No to a batch
	Deletions uint8 // by the owner, in either folder
	Moves     uint8 // by the owner, out of the destination folder
	Returns   uint8 // by the owner, out of the second folder into the destination folder
	Foreign   uint8 // deliveries of the same bytes by somebody else, to either folder
}
