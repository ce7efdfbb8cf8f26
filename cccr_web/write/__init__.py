"""Write texts, names and photos into ``translations/``, for people who do not know its formats."""

from cccr_web.write.document import Converted, read_document
from cccr_web.write.importer import Imported, import_document
from cccr_web.write.name import add_name
from cccr_web.write.photo import NewPhoto, add_photo
from cccr_web.write.scaffold import new_text, slug_of

__all__ = [
    "Converted",
    "Imported",
    "NewPhoto",
    "add_name",
    "add_photo",
    "import_document",
    "new_text",
    "read_document",
    "slug_of",
]
