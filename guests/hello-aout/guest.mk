$(eval $(call guest,hello-aout,aout))
