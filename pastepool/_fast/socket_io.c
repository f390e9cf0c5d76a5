/*
 * Accept, receive and send without releasing the GIL (runtime/sockets/held_io.py says why).
 *
 * The number of the socket is asked for and used without running other code of Python in between, so nobody can close
 * the socket and open another file with the same number meanwhile.
 */

#include "fast.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

enum { HELD_AT_MOST = 16384 };

static PyObject *fileno_name;

/* Return the number of a socket; -1 if it is closed, and -1 with an exception set if it is none: no call takes that. */
static int
number_of(PyObject *sock)
{
    PyObject *number = PyObject_CallMethodObjArgs(sock, fileno_name, NULL);
    if (number == NULL) {
        return -1;
    }
    int fd = (int)PyLong_AsLong(number);
    Py_DECREF(number);
    return fd;
}

static PyObject *
held_receive(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    REFUSE_OTHER_COUNT("held_receive", count, 2);
    char buffer[HELD_AT_MOST];
    size_t most = PyLong_AsSize_t(arguments[1]);
    ssize_t received = -1;
    if (!PyErr_Occurred()) {
        received = recv(number_of(arguments[0]), buffer, most < sizeof buffer ? most : sizeof buffer, MSG_DONTWAIT);
    }
    if (received < 0) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    return PyBytes_FromStringAndSize(buffer, received);
}

static PyObject *
held_send(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    REFUSE_OTHER_COUNT("held_send", count, 2);
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arguments[1], &data, &size) < 0) {
        return NULL;
    }
    ssize_t sent = send(number_of(arguments[0]), data, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 && PyErr_Occurred() ? NULL : PyLong_FromSsize_t(sent > 0 ? sent : 0);
}

#ifdef SOCK_NONBLOCK
/* Accept a client of a listener for IPv4. Returns its number, address and port; the errno if there is none. */
static PyObject *
accept_client(PyObject *Py_UNUSED(module), PyObject *listener)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char host[INET_ADDRSTRLEN];
    int client = accept4(number_of(listener), (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
        return PyErr_Occurred() ? NULL : PyLong_FromLong(errno);
    }
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    PyObject *found = Py_BuildValue("isi", client, host, (int)ntohs(address.sin_port));
    if (found == NULL) {
        close(client);
    }
    return found;
}
#endif

static PyMethodDef functions[] = {
#ifdef SOCK_NONBLOCK
    {"accept_client", accept_client, METH_O, NULL},
#endif
    {"held_receive", FAST_FUNCTION(held_receive), METH_FASTCALL, NULL},
    {"held_send", FAST_FUNCTION(held_send), METH_FASTCALL, NULL},
    {NULL},
};

int
add_socket_io(PyObject *module)
{
    fileno_name = PyUnicode_InternFromString("fileno");
    return fileno_name == NULL ? -1 : PyModule_AddFunctions(module, functions);
}
