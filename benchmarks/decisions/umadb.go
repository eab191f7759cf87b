package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// UmaDB over gRPC, with its own settings; an account is a tag. Messages are encoded by hand: there are four of them.
type umadb struct {
	address string
	running *server
}

func startUmadb(path, folder string) (peer, error) {
	address := freeAddress()
	running, err := launch(folder, nil, path, "--listen", address, "--db-path", folder+"/uma.db")
	if err != nil {
		return nil, err
	}
	return &umadb{address, running}, answers(address, 30*time.Second)
}

func (u *umadb) name() string    { return "UmaDB" }
func (u *umadb) server() *server { return u.running }

func (u *umadb) connect() (connection, error) {
	made, err := grpc.NewClient(u.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(64<<20)))
	return &tagged{made, map[string]uint64{}}, err
}

func (u *umadb) fill(accounts []string, events int) error {
	made, err := u.connect()
	if err != nil {
		return err
	}
	defer made.close()
	for range events {
		for rest := accounts; len(rest) > 0; {
			some := rest[:min(len(rest), 500)]
			rest = rest[len(some):]
			var request []byte
			for _, account := range some {
				request = protowire.AppendTag(request, 1, protowire.BytesType)
				request = protowire.AppendBytes(request, uma(account, deposit))
			}
			if _, err := made.(*tagged).call("Append", request); err != nil {
				return err
			}
		}
	}
	return nil
}

// Messages as they stand on the wire.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (raw) Unmarshal(bytes []byte, into any) error {
	*into.(*[]byte) = append([]byte(nil), bytes...)
	return nil
}
func (raw) Name() string { return "proto" }

type tagged struct {
	*grpc.ClientConn
	positions map[string]uint64
}

func (t *tagged) call(method string, request []byte) ([]byte, error) {
	var answer []byte
	err := t.Invoke(background, "/umadb.v1.DCB/"+method, &request, &answer)
	return answer, err
}

func (t *tagged) append(account string) error {
	position, err := t.appendAfter(account, deposit, t.positions[account])
	t.positions[account] = position
	return err
}

// Appends if no event of the account came after the position (0: at all); the new position.
func (t *tagged) appendAfter(account, value string, after uint64) (uint64, error) {
	var condition []byte
	condition = protowire.AppendTag(condition, 1, protowire.BytesType)
	condition = protowire.AppendBytes(condition, query(account))
	if after > 0 {
		condition = protowire.AppendTag(condition, 2, protowire.VarintType)
		condition = protowire.AppendVarint(condition, after)
	}
	var request []byte
	request = protowire.AppendTag(request, 1, protowire.BytesType)
	request = protowire.AppendBytes(request, uma(account, value))
	request = protowire.AppendTag(request, 2, protowire.BytesType)
	request = protowire.AppendBytes(request, condition)
	answer, err := t.call("Append", request)
	if err != nil {
		return 0, err
	}
	var position uint64
	fields(answer, func(number protowire.Number, varint uint64, _ []byte) {
		if number == 1 {
			position = varint
		}
	})
	return position, nil
}

func (t *tagged) read(account string) (int, error) {
	count, _, err := t.events(account)
	return count, err
}

// How many events an account has, and the position of the last.
func (t *tagged) events(account string) (int, uint64, error) {
	var request []byte
	request = protowire.AppendTag(request, 1, protowire.BytesType)
	request = protowire.AppendBytes(request, query(account))
	stream, err := t.NewStream(background, &grpc.StreamDesc{ServerStreams: true}, "/umadb.v1.DCB/Read")
	if err != nil {
		return 0, 0, err
	}
	if err := stream.SendMsg(&request); err != nil {
		return 0, 0, err
	}
	if err := stream.CloseSend(); err != nil {
		return 0, 0, err
	}
	count, last := 0, uint64(0)
	for {
		var batch []byte
		if err := stream.RecvMsg(&batch); err == io.EOF {
			return count, last, nil
		} else if err != nil {
			return 0, 0, err
		}
		fields(batch, func(number protowire.Number, _ uint64, event []byte) {
			if number != 1 {
				return
			}
			count++
			fields(event, func(number protowire.Number, position uint64, _ []byte) {
				if number == 1 {
					last = position
				}
			})
		})
	}
}

// Reads the account's events, adds them up as anybody would, and appends if nothing came in between.
func (t *tagged) withdraw(account string) error {
	for {
		_, last, err := t.events(account)
		if err != nil {
			return err
		}
		_, err = t.appendAfter(account, withdrawal, last)
		// The status of a failed condition reaches gRPC's Go client only as a text: its details do not fit its code.
		if err == nil || !strings.Contains(err.Error(), "condition failed") {
			return err
		}
	}
}

func (t *tagged) close() { _ = t.Close() }

func tag(account string) string { return "account:" + account }

func uma(account, value string) []byte {
	var event []byte
	event = protowire.AppendTag(event, 1, protowire.BytesType)
	event = protowire.AppendString(event, "booked")
	event = protowire.AppendTag(event, 2, protowire.BytesType)
	event = protowire.AppendString(event, tag(account))
	event = protowire.AppendTag(event, 3, protowire.BytesType)
	return protowire.AppendBytes(event, fmt.Appendf(nil, value, account))
}

func query(account string) []byte {
	var item, query []byte
	item = protowire.AppendTag(item, 2, protowire.BytesType)
	item = protowire.AppendString(item, tag(account))
	query = protowire.AppendTag(query, 1, protowire.BytesType)
	return protowire.AppendBytes(query, item)
}

// Walks the fields of a message; what is neither a number nor bytes does not occur.
func fields(message []byte, visit func(number protowire.Number, varint uint64, bytes []byte)) {
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return
		}
		message = message[length:]
		var varint uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			varint, length = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			bytes, length = protowire.ConsumeBytes(message)
		default:
			length = protowire.ConsumeFieldValue(number, kind, message)
		}
		if length < 0 {
			return
		}
		visit(number, varint, bytes)
		message = message[length:]
	}
}
