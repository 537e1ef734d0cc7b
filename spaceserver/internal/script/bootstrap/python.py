# What scripts may call (docs: deployments/custom-scripts). Variables arrive in front of this text.
import base64 as __base64
import os as __os
import runpy as __runpy
import shlex as __shlex
import sys as __sys


def __octopus_encode(value):
    return __base64.b64encode(str(value).encode("utf-8")).decode("ascii")


def __octopus_say(message, /, **parameters):
    told = "".join(" %s='%s'" % (key, __octopus_encode(value)) for key, value in parameters.items())
    print("##octopus[%s%s]" % (message, told), flush=True)


def __octopus_as(category, text):
    print("##octopus[stdout-%s]\n%s\n##octopus[stdout-default]" % (category, text), flush=True)


def get_octopusvariable(name):
    return octopusvariables.get(name)


def set_octopusvariable(name, value, sensitive=False):
    if sensitive:
        __octopus_say("setVariable", name=name, value=value, sensitive="True")
    else:
        __octopus_say("setVariable", name=name, value=value)


def createartifact(path, fileName=None):
    full = __os.path.realpath(path)
    if not __os.path.isfile(full):
        raise FileNotFoundError("There is no file '%s' to keep as an artifact." % path)
    name = fileName or __os.path.basename(full)
    __octopus_as("verbose", "Artifact %s will be collected from %s after this step completes" % (name, full))
    __octopus_say("createArtifact", path=full, name=name, length=__os.path.getsize(full))


def updateprogress(percentage, message=""):
    __octopus_say("progress", percentage=percentage, message=message or "")


def printverbose(message):
    __octopus_as("verbose", message)


def printhighlight(message):
    __octopus_as("highlight", message)


def printwait(message):
    __octopus_as("wait", message)


def printwarning(message):
    __octopus_as("warning", message)


def failstep(message=None):
    if message:
        __octopus_say("resultMessage", message=message)
    __sys.exit(1)
