/*
 * The head of a usual response: a known status, known names of fields, values of ASCII without control characters.
 * Everything else is left to the function of http1/response.py that has the rules and their messages.
 */

#include "fast.h"

enum { PLAIN, CONTENT_LENGTH, DATE, SERVER };                 /* kinds of fields, as http1/response.py numbers them */
enum { WITH_DATE = 1, WITH_SERVER = 2 };                      /* what is not usual about a head, likewise */
enum { STATUS_LINES, KINDS, ANY_HEAD };                       /* the tuple that render_head has as its self */
enum { LARGEST = 4096 };                                      /* bytes of a usual head; ours: most have some hundred */

typedef struct {
    char lines[LARGEST]; /* without Content-Length */
    Py_ssize_t size;
    long long length; /* -1 if none is named */
    long unusual;
} Found;

/* Add a text of ASCII without CR, LF and NUL, and two bytes behind it. Returns 0 if it is another one, or too long. */
static int
add_text(Found *found, PyObject *text, const char *end)
{
    Py_ssize_t size;
    const char *bytes = PyUnicode_CheckExact(text) ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (bytes == NULL) {
        PyErr_Clear(); /* a lone surrogate */
        return 0;
    }
    if (size > LARGEST - found->size - 2) {
        return 0;
    }
    char *to = found->lines + found->size;
    for (Py_ssize_t each = 0; each < size; each++) {
        unsigned char byte = (unsigned char)bytes[each];
        if (byte >= 0x80 || byte == '\r' || byte == '\n' || byte == '\0') {
            return 0;
        }
        to[each] = bytes[each];
    }
    memcpy(to + size, end, 2);
    found->size += size + 2;
    return 1;
}

/* Read a Content-Length: the only one, of at most 18 digits. Returns 0 if it is another one. */
static int
read_length(Found *found, PyObject *value)
{
    Py_ssize_t from = found->size;
    if (found->length >= 0 || !add_text(found, value, "\r\n")) {
        return 0;
    }
    Py_ssize_t size = found->size - from - 2;
    found->size = from; /* its line belongs to the framing */
    if (size < 1 || size > 18) {
        return 0;
    }
    found->length = 0;
    for (Py_ssize_t each = 0; each < size; each++) {
        char digit = found->lines[from + each];
        if (digit < '0' || digit > '9') {
            return 0;
        }
        found->length = found->length * 10 + (digit - '0');
    }
    return 1;
}

/* Read a pair of name and value. Returns 0, maybe with an exception, if it is not a usual one. */
static int
read_pair(Found *found, PyObject *pair, PyObject *kinds)
{
    if (!PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2 || !PyUnicode_CheckExact(PyTuple_GetItem(pair, 0))) {
        return 0;
    }
    PyObject *name = PyTuple_GetItem(pair, 0), *value = PyTuple_GetItem(pair, 1);
    PyObject *known = PyDict_GetItemWithError(kinds, name);
    long kind = known == NULL ? -1 : PyLong_AsLong(known);
    if (kind == CONTENT_LENGTH) {
        return read_length(found, value);
    }
    found->unusual |= (kind == DATE ? WITH_DATE : 0) | (kind == SERVER ? WITH_SERVER : 0);
    return kind >= PLAIN && kind <= SERVER && add_text(found, name, ": ") && add_text(found, value, "\r\n");
}

/* Make http1.response.Head. `status`: its code, its line, and what is not usual about it. */
static PyObject *
make_head(PyObject *status, const Found *found)
{
    PyObject *fields = PyBytes_FromStringAndSize(found->lines, found->size);
    PyObject *length = found->length < 0 ? Py_BuildValue("") : PyLong_FromLongLong(found->length);
    return Py_BuildValue("(OONNl)", PyTuple_GetItem(status, 0), PyTuple_GetItem(status, 1), fields, length,
                         found->unusual | PyLong_AsLong(PyTuple_GetItem(status, 2)));
}

/* Return the rendered head; NULL, maybe with an exception, if it is not a usual one. */
static PyObject *
usual_head(PyObject *self, PyObject *status, PyObject *headers)
{
    PyObject *known = NULL;
    Found found;
    found.size = found.unusual = 0;
    found.length = -1;
    if (PyUnicode_CheckExact(status) && PyList_CheckExact(headers)) {
        known = PyDict_GetItemWithError(PyTuple_GetItem(self, STATUS_LINES), status);
    }
    for (Py_ssize_t each = 0; known != NULL && each < PyList_Size(headers); each++) {
        if (!read_pair(&found, PyList_GetItem(headers, each), PyTuple_GetItem(self, KINDS))) {
            known = NULL;
        }
    }
    return known == NULL ? NULL : make_head(known, &found);
}

static PyObject *
render_head(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    REFUSE_OTHER_COUNT("render_head", count, 2);
    PyObject *head = usual_head(self, arguments[0], arguments[1]);
    if (head == NULL && !PyErr_Occurred()) {
        head = PyObject_CallFunctionObjArgs(PyTuple_GetItem(self, ANY_HEAD), arguments[0], arguments[1], NULL);
    }
    return head;
}

static PyMethodDef render_head_definition = {"render_head", FAST_FUNCTION(render_head), METH_FASTCALL, NULL};

static PyObject *
head_renderer(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *status_lines, *kinds, *any_head;
    if (!PyArg_ParseTuple(arguments, "O!O!O:head_renderer", &PyDict_Type, &status_lines, &PyDict_Type, &kinds,
                          &any_head)) {
        return NULL;
    }
    PyObject *self = PyTuple_Pack(3, status_lines, kinds, any_head);
    PyObject *function = self == NULL ? NULL : PyCFunction_NewEx(&render_head_definition, self, NULL);
    Py_XDECREF(self);
    return function;
}

static PyMethodDef functions[] = {{"head_renderer", head_renderer, METH_VARARGS, NULL}, {NULL}};

int
add_response(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
