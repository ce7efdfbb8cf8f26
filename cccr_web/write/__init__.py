"""Write texts, names and photos into ``translations/``, for people who do not know its formats."""

from cccr_web.write.importer import import_document
from cccr_web.write.name import add_name
from cccr_web.write.photo import add_photo
from cccr_web.write.scaffold import new_text

__all__ = ["add_name", "add_photo", "import_document", "new_text"]
