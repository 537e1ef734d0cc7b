// Command watch runs ODCM's monitor alone, with its history in a SQLite file, on targets at 10 s, and tells what its probes cost;
// or it plays the targets:
//
//	watch run FILE URLS SECONDS INSPECT-EVERY [CONTROL]   probes the addresses in the file URLS; with the address of a simulator's
//	                                                      controls it then kills some servers and lets some hang
//	watch simulate N                                      plays N servers; says where its controls are, ends with its input
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"odcm/simulate"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("run or simulate?")
	}
	var err error
	switch os.Args[1] {
	case "run":
		err = watchAll(os.Args[2:])
	case "simulate":
		err = play(os.Args[2])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func play(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	s, err := simulate.New(simulate.Options{Count: n, APIKey: key})
	if err != nil {
		return err
	}
	s.Start()
	fmt.Println(s.ControlURL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, s.Stop(context.Background()))
}

func watchAll(args []string) error {
	if len(args) < 4 {
		return errors.New("run FILE URLS SECONDS INSPECT-EVERY [CONTROL]")
	}
	seconds, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	inspect, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	w := &world{}
	if err := w.read(args[1]); err != nil {
		return err
	}
	control := ""
	if len(args) > 4 {
		control = args[4]
	}
	r, err := w.run(args[0], time.Duration(seconds)*time.Second, inspect, control)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
